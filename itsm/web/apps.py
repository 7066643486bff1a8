from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "itsm.web"
    label = "web"

    def ready(self) -> None:
        from django.urls import register_converter

        from itsm.web.numbers import NumberConverter

        register_converter(NumberConverter, "number")
