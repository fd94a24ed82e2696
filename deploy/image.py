"""The images of the container lab: built here, pulled, or made from Debian packages.

Knows: which base an image stands on, and what to do where it cannot be had. Refuses to know:
containers. Invariant: a base that was asked for is never replaced by another.
"""

from __future__ import annotations

from pathlib import Path

from deploy import composition
from deploy.composition import Composition, Image
from deploy.preflight import ObstacleError, ask
from deploy.step import LOG, run, say, step

OWN_BASE = "gslb-base:bookworm"  # what deploy/base-image.sh makes
MAKE_BASE = Path(__file__).with_name("base-image.sh")


def has_image(name: str) -> bool:
    """Whether the engine has an image."""
    try:
        ask("docker", "image", "inspect", "--format", "{{.Id}}", name)
    except ObstacleError:
        return False
    return True


def provide_base(wanted: str, usual: str, log: Path) -> str:
    """The base image to build on: the one that is wanted, or one made here instead of the usual."""
    if has_image(wanted):
        return wanted
    may_make = wanted == usual
    if may_make and has_image(OWN_BASE):
        say(f"base image: {OWN_BASE}, made here before ({wanted} is not here)")
        return OWN_BASE
    try:
        with step(f"pulling the base image {wanted}"):
            run(("docker", "pull", wanted), log)
    except ObstacleError as refusal:
        if not may_make:
            raise ObstacleError(
                f"BASE_IMAGE={wanted} is not here and cannot be pulled ({refusal}):"
                " name an image that can, or unset BASE_IMAGE"
            ) from None
        say(f"{wanted} cannot be pulled here: {brief(refusal)}")
    else:
        return wanted
    try:
        with step(f"making {OWN_BASE} from Debian packages instead, with deploy/base-image.sh"):
            run((str(MAKE_BASE), OWN_BASE), log)
    except ObstacleError as refusal:
        raise ObstacleError(f"no base image: {refusal}; all of it is in {LOG}") from None
    return OWN_BASE


def brief(refusal: ObstacleError) -> str:
    """The cause at the end of what the engine says: `no such host`."""
    return str(refusal).rpartition(": ")[2]


def build(image: Image, base: str, log: Path) -> None:
    """Build one image; what has not changed comes out of the engine's cache."""
    arguments = {**dict(image.arguments), **({"BASE_IMAGE": base} if base else {})}
    command = ["docker", "build", "--force-rm", "--tag", image.name]
    if image.target:
        command += ["--target", image.target]
    for key, value in arguments.items():
        command += ["--build-arg", f"{key}={value}"]
    try:
        with step(f"building the image {image.name}"):
            run((*command, image.context), log)
    except ObstacleError as refusal:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]:
            say(f"    {line}")
        raise ObstacleError(
            f"the image {image.name} cannot be built: {refusal}; all of it is in {LOG}"
        ) from None


def provide_images(contents: Composition, source: str, log: Path) -> tuple[str, ...]:
    """Build or pull every image; the services that can start with them.

    `source` is docker-compose.yml, which says what the usual base image is.
    """
    usual = dict(composition.variables(source)).get("BASE_IMAGE", "")
    wanted = {dict(image.arguments).get("BASE_IMAGE", "") for image in contents.images} - {""}
    bases = {name: provide_base(name, usual, log) for name in sorted(wanted)}
    for image in sorted(contents.images, key=lambda image: image.name):
        build(image, bases.get(dict(image.arguments).get("BASE_IMAGE", ""), ""), log)
    absent = []
    for service, name in contents.fetched.items():
        if has_image(name):
            continue
        try:
            with step(f"pulling {name}"):
                run(("docker", "pull", name), log)
        except ObstacleError as refusal:
            say(f"{service} is left out: {name} cannot be pulled here: {brief(refusal)}")
            absent.append(service)
    return tuple(service for service in contents.services if service not in absent)
