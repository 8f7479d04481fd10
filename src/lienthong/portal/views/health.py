"""The node's health: its checks, what ends soon, witnesses, and the doctor's findings."""

from __future__ import annotations

from starlette.responses import Response

from lienthong.node.doctor.context import Context
from lienthong.node.doctor.examination import all_checks, examine, worst
from lienthong.portal.visit import Visit


def show(visit: Visit) -> Response:
    return visit.page("health.html", node=visit.site.desk.status())


def doctor(visit: Visit) -> Response:
    """Everything that ``lienthong doctor`` looks at; it takes some seconds."""
    context = Context.of(visit.site.desk.folder, {})  # the portal's environment is not the node's
    findings = examine(all_checks(context))
    order = {"failed": 0, "warning": 1, "ok": 2}
    findings.sort(key=lambda each: order[each.state.value])
    template = "doctor_findings.html" if visit.is_fragment else "doctor.html"
    return visit.page(template, findings=findings, worst=worst(findings).value)
