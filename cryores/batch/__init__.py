"""Many maps: tasks from a table, their keys, the workers that do them, and the summary of what came out."""
