"""What can be asked of models: one row for each operation and each model type."""
