"""Images for people: what triggers do, and which training images made a backdoor."""
