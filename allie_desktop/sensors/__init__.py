"""What the machine and its owner are doing: idle, power, heat, GPU, load, presence; unknown is an answer."""
