from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class TenancyConfig(AppConfig):
    name = "itsm.tenancy"
    label = "tenancy"
    verbose_name = _("People and teams")

    def ready(self) -> None:
        from itsm.tenancy.reconciler import after_migrate

        # Django's own hook for "the schema has just changed"; no domain logic hangs on it.
        post_migrate.connect(after_migrate, sender=self, dispatch_uid="tenancy.reconcile")
