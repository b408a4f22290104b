"""Tables of images and labels: Parquet and CSV files."""
