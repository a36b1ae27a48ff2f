# samples/ - a recording with its truth
