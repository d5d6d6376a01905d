"""A policy as settings of Kubernetes: a ScaledObject of KEDA, which scales workers by the numbers that a job exports.

A job is no consumer group, so KEDA's Kafka trigger knows nothing of it; its own numbers on Prometheus do.
"""

from __future__ import annotations

from typing import Any

import yaml

from common.scaling.policy import SECOND, Limits

LONGEST_WINDOW = 3600
"""The longest `stabilizationWindowSeconds` that the API takes."""


def scaled_object(job: str, limits: Limits, workers: str, prometheus: str) -> str:
    """The ScaledObject, as YAML.

    Workers are wanted so that each is as busy as `busy` says. `up_after` and `down_after` become the windows over which
    the lowest and the highest wish must hold. A job without input is not busy, however far its watermark is behind.

    Args:
        job: The job whose numbers are asked.
        limits: The policy.
        workers: The Deployment of the workers: executors, or task managers.
        prometheus: The address of Prometheus.
    """
    query = f'max(rate(adstream_busy_seconds_total{{job="{job}"}}[2m]))'
    return yaml.safe_dump(
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": f"{job}-workers"},
            "spec": {
                "scaleTargetRef": {"name": workers},
                "minReplicaCount": limits.minimum,
                "maxReplicaCount": limits.maximum,
                "pollingInterval": 15,
                "cooldownPeriod": limits.cool_down // SECOND,
                "advanced": {
                    "horizontalPodAutoscalerConfig": {
                        "behavior": {
                            "scaleUp": _behaviour(limits, limits.up_after),
                            "scaleDown": _behaviour(limits, limits.down_after),
                        }
                    }
                },
                "triggers": [
                    {
                        "type": "prometheus",
                        "metricType": "Value",
                        "metadata": {"serverAddress": prometheus, "query": query, "threshold": str(limits.busy)},
                    }
                ],
            },
        },
        sort_keys=False,
    )


def _behaviour(limits: Limits, window: int) -> dict[str, Any]:
    period = max(1, limits.cool_down // SECOND)
    return {
        "stabilizationWindowSeconds": min(window // SECOND, LONGEST_WINDOW),
        "policies": [{"type": "Pods", "value": limits.step, "periodSeconds": min(period, 1800)}],
    }
