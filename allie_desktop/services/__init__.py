"""Use cases over the ports of the domain: collection, scheduler, orchestrator, deployment, forgetting."""
