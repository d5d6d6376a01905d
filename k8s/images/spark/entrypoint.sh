#!/bin/bash
# What a pod of this image runs. Spark starts its own pods with the word `executor`, or `driver` in cluster mode, and says
# the rest in variables and arguments (its contract with images); anything else is a command, such as `adstream run …`.
set -eu

case "${1:-}" in
  executor)
    options=()
    while IFS= read -r option; do options+=("$option"); done < <(
      env | grep '^SPARK_JAVA_OPT_' | sort --field-separator=_ --key=4 --numeric-sort | cut --delimiter== --fields=2-
    )
    exec "$JAVA_HOME/bin/java" "${options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" \
      -cp "${SPARK_CONF_DIR:-$SPARK_HOME/conf}:${SPARK_CLASSPATH:-}:$SPARK_HOME/jars/*" \
      org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
      --driver-url "$SPARK_DRIVER_URL" \
      --executor-id "$SPARK_EXECUTOR_ID" \
      --cores "$SPARK_EXECUTOR_CORES" \
      --app-id "$SPARK_APPLICATION_ID" \
      --hostname "$SPARK_EXECUTOR_POD_IP" \
      --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" \
      --podName "$SPARK_EXECUTOR_POD_NAME"
    ;;
  driver)
    shift
    exec "$SPARK_HOME/bin/spark-submit" --deploy-mode client \
      --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" "$@"
    ;;
  *)
    exec "$@"
    ;;
esac
