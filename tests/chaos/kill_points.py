"""Stock RQ workers that die at a point where RQ alone loses a job: `rq worker -w` takes them."""

import os
import signal
from typing import Any

from rq import Worker


class KilledAfterPop(Worker):
    """It has taken the job from its queue and has not noted it anywhere yet."""

    def prepare_execution(self, job: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)
