"""Starts MiniStack, an emulator of AWS, on the loopback interface, and closes the gaps that affect Tarn.

    python localstack/ministack_start.py --port 4566 --state-dir /tmp/tarn-emulator [--authentication]

MiniStack itself is unmodified: at start, the modules of `gaps/` replace single functions of it; each
module describes what AWS does. All files are written to the state folder. State is only in memory:
when the emulator stops, the deployment is lost.
"""

import argparse
import importlib.metadata
import os
import pathlib
import signal
import sys
import tempfile
import threading

VERSION = "1.5.33"

# The part of the caller's environment that the emulator, and through it every function, may see. On AWS
# a function sees nothing of the machine that deployed it.
KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT")


def environment(caller, port, state_dir, authentication):
    """The environment of the emulator: KEPT from the caller's environment, and its settings."""
    state = pathlib.Path(state_dir)
    kept = {name: caller[name] for name in KEPT if name in caller}
    return kept | {
        "AUTH": str(authentication).lower(),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",  # what functions are given
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "HOME": str(state / "home"),  # no ~/.aws of the caller
        "IOT_MTLS_ENABLED": "0",  # further listeners
        "LAMBDA_EXECUTOR": "local",  # functions run natively, not in Docker
        "LOG_LEVEL": caller.get("MINISTACK_LOG_LEVEL", "INFO"),
        "MINISTACK_REGION": "us-east-1",
        "S3_DATA_DIR": str(state / "s3"),
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(state / "state"),
        "TMPDIR": str(state / "tmp"),
    }


def stop_with_stdin():
    """Ends this process and its functions when standard input ends."""
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--port", type=int, default=int(os.environ.get("TARN_EMULATOR_PORT", "4566")))
    parser.add_argument(
        "--state-dir",
        default=os.environ.get("TARN_EMULATOR_STATE"),
        help="folder for everything that is written; a new temporary one if none is named",
    )
    parser.add_argument(
        "--authentication",
        action="store_true",
        help="check signatures and enforce IAM policies; without it every call is allowed",
    )
    parser.add_argument(
        "--stop-with-stdin",
        action="store_true",
        help="stop, and the functions too, when standard input ends: whoever holds it open is gone",
    )
    options = parser.parse_args()

    found = importlib.metadata.version("ministack")
    if found != VERSION:
        sys.exit(f"ministack {VERSION} is needed, found {found}: pip install -r localstack/requirements.txt")

    state_dir = os.path.abspath(options.state_dir or tempfile.mkdtemp(prefix="tarn-emulator-"))
    settings = environment(os.environ, options.port, state_dir, options.authentication)
    for name in ("HOME", "S3_DATA_DIR", "STATE_DIR", "TMPDIR"):
        os.makedirs(settings[name], exist_ok=True)
    os.environ.clear()
    os.environ.update(settings)
    tempfile.tempdir = settings["TMPDIR"]

    if options.stop_with_stdin:
        os.setpgid(0, 0)  # the functions are in this group, too
        threading.Thread(target=stop_with_stdin, daemon=True).start()

    # MiniStack reads its settings when it is imported, so import it only after this line.
    import gaps
    import ministack.app

    gaps.close()
    sys.argv[1:] = []
    ministack.app.main()


if __name__ == "__main__":
    main()
