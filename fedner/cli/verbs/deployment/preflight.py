"""`fedner provision check`: can this machine take part in a federation?"""

from argparse import Namespace
from datetime import UTC, datetime

from fedner.cli.console import print_json, stdout
from fedner.deployment.preflight.checks import preflight
from fedner.deployment.preflight.findings import all_well, findings_json, findings_table
from fedner.deployment.provisioning.kit import read_kit
from fedner.errors import RunError


def check_machine(options: Namespace) -> None:
    """`fedner provision check`."""
    kit = read_kit(options.kit)
    findings = preflight(kit, options.site, lambda: datetime.now(UTC))
    if options.json:
        print_json(findings_json(findings))
    else:
        stdout().print(findings_table(findings))
    if not all_well(findings):
        raise RunError(
            f"{options.kit}: this machine cannot take part yet; do what the failed checks say and check again"
        )
