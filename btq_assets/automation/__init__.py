"""When and where assets run: partitions, jobs, schedules, sensors, executors. One concern a file."""
