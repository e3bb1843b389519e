def test_x(weir, site, netns_pair):
    w = weir("--root", site.path, "--listen", "[fd77::1]:8080", "--attach", "native", netns=netns_pair.server)
    for n in range(4):
        connection = w.connect("fd77::1", netns=netns_pair.client)
        print(w.get(connection, "/small.txt"))
        connection.close()
    s=w.stats()
    print({k:v for k,v in s["kernel"].items() if not isinstance(v,dict)})
    print({k:v for k,v in s["kernel"]["verdicts"].items() if v}); print({k:v for k,v in s["kernel"]["reasons"].items() if v}); print(s["pools"]); print(w.command("cache","list").stdout); assert 0
