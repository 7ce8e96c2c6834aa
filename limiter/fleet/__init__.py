"""One quota for many processes: shares of each pool, lent by a store."""

from penstock.limiter.fleet._fleet import Fleet
from penstock.limiter.fleet._share import Loan, Share, Standing
from penstock.limiter.fleet._store import RedisStore, Store, StoreError

__all__ = ["Fleet", "Loan", "RedisStore", "Share", "Standing", "Store", "StoreError"]
