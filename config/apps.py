from django.apps import AppConfig


class WiringConfig(AppConfig):
    """Connects the practices with the log when Django is ready."""

    name = "config"
    label = "config"

    def ready(self) -> None:
        from config.wiring import connect

        connect()
