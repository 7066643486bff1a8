from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "itsm.access"
    label = "access"
