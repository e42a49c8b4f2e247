"""Create or change a trial plan: credential, models, limit, and whether it is on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from core.errors import ServiceError
from quotas.models import TrialPlan
from quotas.trials import plans
from tenants.audit.trail import COMMAND


class Command(BaseCommand):
    help = (
        "Create a trial plan, or change one; what you omit stays as it is. A new plan needs "
        "--limit and --model. Changing the limit grants or takes back the difference in every "
        "workspace, but never goes below what is used there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("plan", help="the plan's slug, such as openai")
        parser.add_argument(
            "--credential",
            nargs="+",
            action="extend",
            metavar="field=value",
            help="fields of the operator's credential, including base_url",
        )
        parser.add_argument(
            "--model",
            nargs="+",
            action="extend",
            metavar="MODEL[=CREDITS]",
            help="the plan's models, replacing the current ones; 1 credit per call by default",
        )
        parser.add_argument("--limit", type=int, metavar="N", help="credits per workspace")
        switch = parser.add_mutually_exclusive_group()
        switch.add_argument(
            "--on",
            action="store_const",
            dest="is_on",
            const=True,
            help="switch the plan on and give every workspace its credits",
        )
        switch.add_argument("--off", action="store_const", dest="is_on", const=False)
        parser.add_argument(
            "--provider", help="the provider of a new plan; the plan's slug by default"
        )
        parser.add_argument("--label", help="the name shown to people; the plan's slug by default")

    def handle(self, *args: Any, **options: Any) -> None:
        credential = dict(_pair(text, "--credential") for text in options["credential"] or ())
        models = _models(options["model"]) if options["model"] is not None else None
        try:
            with transaction.atomic():
                plan = TrialPlan.objects.filter(slug=options["plan"]).first() or self._create(
                    options, models
                )
                if credential:
                    plan = plans.set_plan_credential(actor=COMMAND, plan=plan, values=credential)
            changes = {name: options[name] for name in ("label", "limit", "is_on")}
            plan = plans.update_plan(actor=COMMAND, plan=plan, models=models, **changes)
        except ServiceError as error:
            raise CommandError(f"{error.code}: {error}") from error
        state = "on" if plan.is_on else "off"
        pools = f"{', '.join(f'{row.model}={row.credits}' for row in plan.models.order_by('pk'))}"
        self.stdout.write(
            f"{plan.slug}: {state}, {plan.limit} credits per workspace, "
            f"{plan.provider}, models {pools}"
        )

    def _create(self, options: dict[str, Any], models: dict[str, int] | None) -> TrialPlan:
        slug = options["plan"]
        if options["limit"] is None or not models:
            raise CommandError(
                f"Plan {slug} does not exist. To create it, pass --limit and at least one --model."
            )
        return plans.create_plan(
            actor=COMMAND,
            slug=slug,
            label=options["label"] or slug,
            provider=options["provider"] or slug,
            limit=options["limit"],
            models=models,
        )


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        # Do not repeat the text: it may contain a key.
        raise CommandError(f"{option} must be field=value")
    return name, value


def _models(texts: list[str]) -> dict[str, int]:
    """Parse MODEL[=CREDITS]; credits follow the last "=", as model names may contain it."""
    models = {}
    for text in texts:
        name, equals, credits = text.rpartition("=")
        if not equals:
            name, credits = text, "1"
        if not name or not credits.isascii() or not credits.isdigit():
            raise CommandError(f"--model must be MODEL or MODEL=CREDITS, not {text}")
        models[name] = int(credits)
    return models
