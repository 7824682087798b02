from collections import Counter
from hypothesis import given, settings, HealthCheck
from tests.api.test_fuzz import mutations, any_json, words, st
from tests.api.conftest import *
import json
def test_long(service_on_each):
    seen=Counter()
    @settings(max_examples=4000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mutations() | any_json)
    def examine(b):
        a=service_on_each.send(json.dumps(b).encode()); seen[a.status_code]+=1
        assert a.status_code in (202,400,422), a.text
        if a.status_code==202: assert service_on_each.json(a.headers['location'])==a.json()
    examine(); print(seen)
