from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "itsm.api"
    label = "api"

    def ready(self) -> None:
        from itsm.api.concurrency import PreconditionRequired
        from itsm.api.idempotency import AnswerRemoved, InFlight, KeyReused, RightsChanged
        from itsm.doors.problems import register_status

        register_status({PreconditionRequired: 428, KeyReused: 422})
        register_status(dict.fromkeys((InFlight, AnswerRemoved, RightsChanged), 409))
