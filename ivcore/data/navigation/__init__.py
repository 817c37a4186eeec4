"""Navigation: floor plans, instructions and simulators that an agent walks in."""
