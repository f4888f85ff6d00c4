"""Which site a run runs at: found by its name for a new run, kept in the run's folder for the others.

RUN/site.yaml is no part of what a run is about: a launch writes it anew, so that a run can go on in
another partition, or elsewhere.
"""

from __future__ import annotations

from pathlib import Path

from hpc.files import write_whole
from leanfleet.config import Site, dump_config, load_site

FILE = "site.yaml"
FOLDER = Path("configs", "sites")
LOCAL = Site(name="local")


def named(name: str, config: Path) -> Site:
    """The site `name` for the run that the file `config` describes: `local`, or a file NAME.yaml in
    sites/ beside that file, or in configs/sites. Raises ValueError."""
    if name == LOCAL.name:
        return LOCAL
    folders = dict.fromkeys((config.absolute().parent / FOLDER.name, Path.cwd() / FOLDER))
    for folder in folders:
        path = folder / f"{name}.yaml"
        if path.is_file():
            site = load_site(path)
            if site.name != name:
                raise ValueError(f"{path}: name: this file is to have the name {name}")
            return site
    places = ", ".join(str(folder) for folder in folders)
    there = sorted(path.stem for folder in folders for path in folder.glob("*.yaml"))
    raise ValueError(
        f"cluster: there is no {name}.yaml in {places}; there are: {', '.join(there) or 'none'}. "
        "docs/slurm.md says what such a file holds"
    )


def kept(folder: Path) -> Site:
    """Of a run: where it was launched last."""
    path = folder / FILE
    return load_site(path) if path.is_file() else LOCAL


def keep(folder: Path, site: Site) -> None:
    """Raises OSError."""
    write_whole(folder / FILE, dump_config(site).encode())
