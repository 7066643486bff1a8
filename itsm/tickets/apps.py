from django.apps import AppConfig


class TicketsConfig(AppConfig):
    name = "itsm.tickets"
    label = "tickets"
