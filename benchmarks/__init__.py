"""What chainrule's speed is tracked by: asv suites here, comparisons with others in peers/."""
