"""`xpm-ce show`: one job, from the files of its folder."""

from typing import Any

import click

from xpm_ce.cli.options import as_json, print_json, workdir
from xpm_ce.workspace import Workspace, read_json


@click.command("show")
@click.argument("job")
@workdir
@as_json
def command(job: str, workspace: Workspace, as_json: bool) -> None:
    """Show JOB, given by the first characters of its identity.

    Example: xpm-ce show 3fb2a91c
    """
    folder = workspace.find_job(job)
    parameters = read_json(folder.path / "params.json") or {}
    described = [entry["fields"] for entry in parameters.get("objects", []) if "fields" in entry]
    plain = {name: value for name, value in (described or [{}])[-1].items() if not isinstance(value, dict)}
    found = {
        "schema": 1,
        "task": folder.task,
        "id": folder.identity,
        "folder": str(folder.path),
        "state": folder.state,
        "parameters": plain,
        "efficiency": read_json(folder.path / "efficiency.json"),
        "freed": sorted(folder.freed.intersection(folder.missing)),
        "record": folder.record,
        "failure": folder.failure,
    }
    if as_json:
        print_json(found)
        return
    click.echo(f"{folder.task} {folder.identity}\n  {folder.state} in {folder.path}")
    for name, value in plain.items():
        click.echo(f"  {name}: {value}")
    for file in folder.files:
        freed = ", freed: made again when a job needs it" if file.path in found["freed"] else ""
        click.echo(f"  output {file.path} ({file.bytes} bytes, sha256 {file.sha256[:12]}{freed})")
    for line in efficiency_lines(found["efficiency"]):
        click.echo(f"  {line}")
    if folder.record:
        click.echo(f"  {folder.record['seconds']:.1f} s on {folder.record['environment']['processor']}")
    if folder.failure:
        click.echo(f"  failed: {folder.failure['what']}\n  {folder.failure['frame']}\n  {folder.failure['remedy']}")


def efficiency_lines(report: dict[str, Any] | None) -> list[str]:
    """What the report of an efficiency job says, for a reader."""
    if report is None:
        return []
    latency, machine, parameters = report["latency_ms"], report["computing"], report["parameters"]
    parts = ", ".join(f"{name} {latency[name]['median']:.1f}" for name in ("tokenisation", "transfer", "forward"))
    device = report["peak_device_memory_mib"]
    memory = f"{report['peak_memory_mib']} MiB" + (f" and {device} MiB on the device" if device is not None else "")
    return [
        f"a query of {report['depth']} documents: {latency['total']['median']:.1f} ms (median of {report['queries']}), "
        f"90 % within {latency['total']['p90']:.1f} ms",
        f"of it, in ms: {parts}",
        f"{report['pairs_per_second']:.1f} pairs/s, {report['tokens_per_pair']:.0f} tokens a pair "
        f"({report['padded_tokens_per_pair']:.0f} computed)",
        f"{parameters['all'] / 1e6:.2f} M parameters, {parameters['embeddings'] / 1e6:.2f} M of them embeddings; "
        f"at most {memory}",
        f"{machine['precision']} on {machine['device']}, {machine['threads']} threads, load {machine['load']:.1f}",
    ]
