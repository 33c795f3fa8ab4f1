"""What an export looks like as text and as JSON. Gets records, prints nothing."""

from typing import Any

from xpm_ce.publish.export import Exported
from xpm_ce.publish.hub import Upload


def rendered_export(done: Exported) -> str:
    """Where it is, what is in it, and the parity report in a line for each library."""
    report = done.report
    lines = [f"exported: {done.folder}"]
    lines += [f"  {file.name} ({file.stat().st_size} bytes)" for file in done.files]
    lines.append(f"the same scores elsewhere, on {report.pairs} pairs ({report.left_out} read otherwise, left out):")
    for each in report.libraries:
        if each.version is None:
            lines.append(f"  {each.library}: not installed, not compared")
        else:
            lines.append(
                f"  {each.library} {each.version}: largest difference {each.max_difference:.1e}, "
                f"Kendall's tau {each.kendall_tau:.6f}"
            )
    return "\n".join(lines)


def rendered_upload(upload: Upload, address: str | None) -> str:
    """What was pushed, or would be."""
    what = f"{len(upload.files)} files, {upload.bytes} bytes"
    if address is not None:
        return f"pushed {what} to {upload.repository}: {address}"
    return (
        f"nothing was pushed: --yes would push {what} to {upload.repository}\n"
        "README.md and study.yaml quote the configuration as it is: read them first"
    )


def exported_json(done: Exported, upload: Upload | None, address: str | None) -> dict[str, Any]:
    """The same as plain data, schema 1."""
    return {
        "schema": 1,
        "folder": str(done.folder),
        "files": {file.name: file.stat().st_size for file in done.files},
        "parity": done.report.as_json(),
        "push": None if upload is None else {
            "repository": upload.repository, "files": [file.name for file in upload.files], "bytes": upload.bytes,
            "commit": address,
        },
    }  # fmt: skip
