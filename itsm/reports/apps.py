from django.apps import AppConfig


class ReportsConfig(AppConfig):
    name = "itsm.reports"
    label = "reports"
