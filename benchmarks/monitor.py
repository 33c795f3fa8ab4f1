"""What the monitor costs on a large grid: the first reading, a look when nothing and when something changed, answers.

    python benchmarks/monitor.py                 # 5 000 jobs
    python benchmarks/monitor.py --jobs 10000

Processor seconds of this process; the server's share is that of a real `xpm-ce monitor` with one page listening. The
last line is JSON. This module does not know what a page shows.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from synthetic_workspace import Synthetic

from xpm_ce.jobs import processor
from xpm_ce.monitor.answers import as_bytes
from xpm_ce.monitor.state import ExperimentState

ROUNDS = 50


def seconds(what: Callable[[], object], rounds: int = 1) -> float:
    """Processor seconds of one call."""
    before = time.process_time()
    for _ in range(rounds):
        what()
    return (time.process_time() - before) / rounds


def processor_seconds(number: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share_of_a_core(workspace: Path, *, listen_for: float) -> tuple[float, float]:
    """Share of a core that a server with one listening page uses, and seconds from its start to its first answer."""
    started = time.monotonic()
    command = [sys.executable, "-c", "from xpm_ce.cli.main import main; main()", "monitor", "--json", "--port", "0"]
    server = subprocess.Popen([*command, "--workdir", str(workspace)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        told = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")
        host = told["link"].split("/")[2]
        headers = {"Authorization": f"Bearer {told['bearer']}"}
        first = http.client.HTTPConnection(host, timeout=60)
        first.request("GET", "/api/jobs", headers=headers)
        version = json.loads(first.getresponse().read())["version"]
        answered = time.monotonic() - started
        page = http.client.HTTPConnection(host, timeout=60)
        page.request("GET", f"/api/events?since={version}", headers=headers)
        page.getresponse()
        time.sleep(2)
        before = processor_seconds(server.pid)
        time.sleep(listen_for)
        return (processor_seconds(server.pid) - before) / listen_for, answered
    finally:
        server.kill()
        server.wait()


@click.command()
@click.option("--jobs", default=5000, show_default=True, help="Jobs of the synthetic workspaces.")
@click.option("--seconds", "observed", default=20.0, show_default=True, help="How long a server is observed.")
def main(jobs: int, observed: float) -> None:
    """Time a look at many jobs, and what a monitor's server costs while a page listens."""
    with tempfile.TemporaryDirectory() as folder:
        idle = Synthetic(Path(folder) / "idle", jobs=jobs, done=1.0)
        busy = Synthetic(Path(folder) / "busy", jobs=jobs)
        state = ExperimentState(idle.workspace, "synthetic")
        found = {"jobs": jobs, "first_reading_s": seconds(state.refresh)}
        time.sleep(0.1)
        found["look_all_done_s"] = seconds(state.refresh, ROUNDS)
        found["answer_s"] = seconds(lambda: as_bytes(state.as_json()), 5)
        found["answer_mb"] = len(as_bytes(state.as_json())) / 1e6
        with busy.live():
            state = ExperimentState(busy.workspace, "synthetic")
            state.refresh()

            def a_second() -> None:
                busy.tell(time.process_time() % 1)
                before = state.version.jobs
                state.refresh()
                as_bytes({"seconds_left": state.seconds_left(), "changed": state.jobs_as_json(since=before)})

            found["look_and_tell_while_running_s"] = seconds(a_second, ROUNDS)
            found["busy_share"], _ = share_of_a_core(busy.workspace.path, listen_for=observed)
        found["idle_share"], found["first_answer_wall_s"] = share_of_a_core(idle.workspace.path, listen_for=observed)
    print(f"{processor()}, {os.cpu_count()} cores")  # noqa: T201
    for name, value in found.items():
        print(f"{name:<32} {value:10.4g}")  # noqa: T201
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main()
