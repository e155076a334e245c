"""Runs in QGIS's Python: an algorithm that is cancelled, or whose companion is killed.

python process.py PLUGINS WHAT '{"RASTER": ..., "OUTPUT": ...}'
python process.py PLUGINS describe
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingFeedback

sys.path.insert(0, sys.argv[1])
application = QgsApplication([], False)
application.initQgis()

from geoiseg_qgis.provider import GeoisegProvider


def companions():
    """Return the processes that this one has started."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(status[1]) == os.getpid() and status[0] != "Z":
                found.append(int(folder.name))
    return found


class Feedback(QgsProcessingFeedback):
    """Does something once the first part is done."""

    def __init__(self, then):
        super().__init__(False)
        self.then = then
        self.shares = []
        self.warned = []
        self.started = []

    def setProgressText(self, text):
        self.started = self.started or companions()
        if "done" in text and self.then:
            then, self.then = self.then, None
            then()

    def pushWarning(self, text):
        self.warned.append(text)


def kill():
    for pid in companions():
        os.kill(pid, signal.SIGKILL)


provider = GeoisegProvider()
QgsApplication.processingRegistry().addProvider(provider)
if sys.argv[2] == "describe":
    told = {}
    for one in provider.algorithms():
        parameters = one.parameterDefinitions()
        told[one.id()] = {"names": [parameter.name() for parameter in parameters],
                          "texts": [parameter.description() for parameter in parameters],
                          "group": one.group(), "help": one.shortHelpString()}  # fmt: skip
    print(json.dumps(told))
    sys.stdout.flush()
    os._exit(0)
algorithm = QgsApplication.processingRegistry().algorithmById("geoiseg:map").create()
what, parameters = sys.argv[2], json.loads(sys.argv[3])
feedback = Feedback(None)
if what == "cancel":
    feedback.then = feedback.cancel
elif what == "kill":
    feedback.then = kill
feedback.progressChanged.connect(feedback.shares.append)
since = time.monotonic()
results, done = algorithm.run(parameters, QgsProcessingContext(), feedback)
print(
    json.dumps(
        {
            "done": done,
            "results": results,
            "seconds": time.monotonic() - since,
            "shares": feedback.shares,
            "warned": feedback.warned,
            "started": len(feedback.started),
            "left": companions(),
        }
    )
)
sys.stdout.flush()
os._exit(0)
