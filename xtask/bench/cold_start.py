"""How long the API's function takes from its start to its first answer.

Arguments: the functions' binary, the repository, and how often to start it. Serves the part of Lambda's
runtime API that a function asks, with one event, a request for /health, and prints milliseconds for each
start: of the clock, and of the processor. AWS need not be reached for this.
"""

import http.server
import os
import pathlib
import resource
import subprocess
import sys
import threading
import time

binary, root, starts = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
ZONES = {
    "TARN_CURATED_BUCKET": "tarn-curated",
    "TARN_ANALYTICS_BUCKET": "tarn-analytics",
    "TARN_QUARANTINE_BUCKET": "tarn-quarantine",
    "TARN_CURATED_DATABASE": "curated",
    "TARN_ANALYTICS_DATABASE": "analytics",
    "TARN_QUALITY_DATABASE": "quality",
}
event = (root / "events/apigw/health.json").read_bytes()


class RuntimeApi(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.server.handed_out:
            self.server.stopped.wait()
            self.close_connection = True
            return
        self.server.handed_out = True
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 60_000))
        arn = "arn:aws:lambda:eu-central-1:123456789012:function:t"
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", arn)
        self.send_header("Content-Length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answer = (time.monotonic(), self.path, body)
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.answered.set()

    def log_message(self, *_):
        pass


def started():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
    server.handed_out, server.answer = False, None
    server.answered, server.stopped = threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:%d" % server.server_port,
        "AWS_LAMBDA_FUNCTION_NAME": "tarn-bench",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "_HANDLER": "api",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "TARN_CONTRACTS": str(root / "contracts"),
        **ZONES,
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    output = subprocess.DEVNULL
    process = subprocess.Popen([binary], env=environment, stdout=output, stderr=output)
    answered = server.answered.wait(60)
    process.kill()
    process.wait()
    server.stopped.set()
    server.shutdown()
    if not answered or b'"statusCode":200' not in server.answer[2]:
        sys.exit(f"the function did not answer: {server.answer}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * (server.answer[0] - begun), 1000 * cpu


for _ in range(starts):
    print(*("%.1f" % milliseconds for milliseconds in started()))
