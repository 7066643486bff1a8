"""What people do here: read their inbox, choose what they are told, and configure messages and webhooks."""
