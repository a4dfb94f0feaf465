"""``x-slipway.database``: what is known of database servers, as the generic keys say it."""
