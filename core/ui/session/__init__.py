"""What every page shares: state, identity, navigation, cached reads, writes."""
