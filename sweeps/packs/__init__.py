"""What a worker trains together (a pack), and what it is handed at once (a chunk of packs)."""
