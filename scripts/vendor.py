"""Makes prefcentre/web/static/vendor anew: what the desk's pages use of other people's scripts and styles.

Only for whoever moves a version: needs npm, and is part of no build. Everything is fetched into a scratch folder, bundled
there, and written beside a manifest with the version, the licence and the hash of each file.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "prefcentre/web/static/vendor"
# htmx 4 has other rules of inheritance, and codemirror 6.65.7 is a CodeMirror 5 with a wrong number: both exactly.
PACKAGES = {
    "htmx.org": "2.0.11",
    "@tabler/core": "1.6.1",
    "echarts": "6.1.0",
    "zrender": "6.1.0",
    "codemirror": "6.0.2",
    "@codemirror/autocomplete": "6.20.4",
    "@codemirror/lang-html": "6.4.12",
    "@codemirror/lang-markdown": "6.5.2",
    "@codemirror/state": "6.7.6",
    "@codemirror/view": "6.43.15",
    "esbuild": "0.28.2",
}
# Its package comes without the text that its licence asks us to pass on.
MIT = """MIT License

{holder}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
HOLDERS = {
    "@tabler/core": "Copyright 2018-2026 The Tabler Authors\nCopyright 2018-2026 codecalm.net Paweł Kuna\n"
    "With parts of Bootstrap: Copyright 2011-2026 The Bootstrap Authors",
}
# A file, the package that gives it its name and version, and where it comes from: a copy or a bundle of an entry.
FILES = (
    ("htmx.min.js", "htmx.org", "dist/htmx.min.js"),
    ("tabler.min.css", "@tabler/core", "dist/css/tabler.min.css"),
    ("echarts.js", "echarts", "scripts/echarts.entry.js"),
    ("codemirror.js", "codemirror", "scripts/codemirror.entry.js"),
)


def main() -> None:
    """Fetch, bundle, write."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else _fetched(Path(scratch))
        VENDOR.mkdir(exist_ok=True)
        manifest = [_made(folder, *entry) for entry in FILES]
        (VENDOR / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")


def _fetched(folder: Path) -> Path:
    (folder / "package.json").write_text(
        '{"name": "vendor", "private": true, "type": "module"}', "utf-8"
    )
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    subprocess.run(
        [shutil.which("npm") or "npm", "install", "--silent", *wanted], cwd=folder, check=True
    )
    return folder


def _made(folder: Path, name: str, package: str, source: str) -> dict[str, object]:
    target = VENDOR / name
    if source.startswith("scripts/"):
        _bundle(folder, ROOT / source, target)
    else:
        # What a source map would help with is not served.
        text = (folder / "node_modules" / package / source).read_text("utf-8")
        kept = [
            line
            for line in text.splitlines()
            if not line.startswith(("//# sourceMappingURL", "/*# sourceMappingURL"))
        ]
        target.write_text("\n".join(kept) + "\n", "utf-8")
    about = json.loads((folder / "node_modules" / package / "package.json").read_text("utf-8"))
    return {
        "file": name,
        "name": package,
        "version": about["version"],
        "licence": about["license"],
        "licence_file": _licence(folder, package),
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
    }


def _bundle(folder: Path, entry: Path, target: Path) -> None:
    # Beside the packages, or the bundler would not find them.
    copy = folder / entry.name
    shutil.copyfile(entry, copy)
    bundler = folder / "node_modules/.bin/esbuild"
    order = [bundler, copy, "--bundle", "--minify", "--format=iife", "--legal-comments=inline"]
    subprocess.run(
        [*map(str, order), "--log-level=error", f"--outfile={target}"], cwd=folder, check=True
    )


def _licence(folder: Path, package: str) -> str:
    found = sorted((folder / "node_modules" / package).glob("LICENSE*"))
    name = f"LICENSE.{package.replace('/', '-').replace('@', '')}.txt"
    text = found[0].read_text("utf-8") if found else MIT.format(holder=HOLDERS[package])
    (VENDOR / name).write_text(text, "utf-8")
    return name


if __name__ == "__main__":
    main()
