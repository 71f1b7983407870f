-- Where a service was once, without reading what happened there.
CREATE INDEX outcome_by_place ON outcome (service, host, began);
