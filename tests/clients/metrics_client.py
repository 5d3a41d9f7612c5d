"""Reads /metrics with Prometheus' own parser."""

import json
import os
import time
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

URL = os.environ["DECLAIM_URL"]


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.headers, answer.read()


def families():
    headers, text = ask("/metrics")
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", headers["Content-Type"]
    found = list(text_string_to_metric_families(text.decode()))
    names = [family.name for family in found]
    assert len(names) == len(set(names)), names
    return {family.name: family for family in found}


def value(name, **labels):
    family = families()[name]
    total = [sample.value for sample in family.samples if sample.name == f"{name}_total" and sample.labels == labels]
    assert len(total) == 1, (name, labels, family.samples)
    return total[0]


before = value("declaim_jobs_ended", status="completed")
ask("/tts", {"text": "Heard by a monitor."})
limit = time.monotonic() + 10
while value("declaim_jobs_ended", status="completed") != before + 1:
    assert time.monotonic() < limit, "the job was not counted"
    time.sleep(0.05)

known = families()
assert len(known) > 25, sorted(known)
kinds = {family.type for family in known.values()}
assert kinds == {"counter", "gauge", "histogram"}, kinds
for family in known.values():
    assert family.documentation, family.name
    if family.type != "histogram":
        continue
    series = {}
    for sample in family.samples:
        rest = tuple(sorted((key, text) for key, text in sample.labels.items() if key != "le"))
        series.setdefault(rest, []).append(sample)
    for samples in series.values():
        buckets = [sample for sample in samples if sample.name.endswith("_bucket")]
        counts = [sample.value for sample in buckets]
        bounds = [float(sample.labels["le"]) for sample in buckets]
        assert counts == sorted(counts) and bounds == sorted(bounds), family.name
        assert bounds[-1] == float("inf"), family.name
        assert [sample.value for sample in samples if sample.name.endswith("_count")] == [counts[-1]], family.name
