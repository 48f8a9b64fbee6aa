"""Feeds the handler from the Lambda Runtime API. It does less than AWS's runtime client: no deadline, no trace, no context."""

import http.client
import json
import os

from handler import handler

api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def ask(method, path, body=None):
    api.request(method, f"/2018-06-01/runtime/invocation/{path}", body)
    answer = api.getresponse()
    return answer.headers["Lambda-Runtime-Aws-Request-Id"], answer.read()


while True:
    request, event = ask("GET", "next")
    answer = handler(json.loads(event))
    ask("POST", f"{request}/response", json.dumps(answer))
