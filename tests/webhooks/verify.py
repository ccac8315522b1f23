"""Verifies the webhooks in a file, made by tests/it/reactions.rs, with the library that their receivers would use."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

with open(sys.argv[1], encoding="utf-8") as file:
    said = json.load(file)
webhook = Webhook(said["secret"])
assert said["hits"], "nothing was sent"
for hit in said["hits"]:
    data = webhook.verify(hit["body"], hit["headers"])
    assert {"type", "timestamp", "data"} <= data.keys(), data
    later = dict(hit["headers"], **{"webhook-timestamp": str(int(hit["headers"]["webhook-timestamp"]) + 1)})
    other = dict(hit["headers"], **{"webhook-id": "msg_other"})
    for body, headers in [(hit["body"] + " ", hit["headers"]), (hit["body"], later), (hit["body"], other)]:
        try:
            webhook.verify(body, headers)
        except WebhookVerificationError:
            continue
        raise AssertionError(f"a changed webhook is taken: {body} {headers}")
print(f"{len(said['hits'])} webhooks are verified")
