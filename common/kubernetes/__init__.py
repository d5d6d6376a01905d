"""Jobs on Kubernetes: the manifests below `k8s/` for one job, and what a release is. No engine, and no client but kubectl."""
