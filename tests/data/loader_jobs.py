"""The job of the decoding processes, with files that hang; the decoders are imported before a deadline runs."""

import signal
import time

from sigma_bench.data.decode import decord_backend, pyav_backend
from sigma_bench.data.load import load_clips

assert pyav_backend.av
if decord_backend.Backend().unavailable() is None:
    import decord  # noqa: F401


def load_or_hang(request):
    """Decode a request; never answer where the file's name says so, whatever signal asks for an end."""
    if "hangs" in request.path:
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        while True:
            time.sleep(1)
    return load_clips(request)
