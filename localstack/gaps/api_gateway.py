"""API Gateway: `GET /health` of a deployed API reaches its function.

MiniStack answers that path itself, for every host. Its own health stays at `/_ministack/health`.
"""

from ministack import app


def close():
    answer = app._handle_health_request

    def answer_own_path(path, request_id):
        return None if path == "/health" else answer(path, request_id)

    app._handle_health_request = answer_own_path
