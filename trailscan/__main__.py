"""`python -m trailscan` is `trailscan`."""

from trailscan.cli.main import main

if __name__ == "__main__":
    main()
