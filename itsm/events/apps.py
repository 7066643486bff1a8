from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "itsm.events"
    label = "events"
