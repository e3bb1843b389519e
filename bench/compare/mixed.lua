-- 80 % of the requests, at random, for an object that may be cached, 20 % for one that may not.
local hit, miss

function init(args)
	math.randomseed(os.time() + tonumber(tostring({}):match("0x(%x+)"), 16) % 65536)
	hit = wrk.format("GET", "/a/small.txt")
	miss = wrk.format("GET", "/b/small.txt")
end

function request()
	return math.random(5) == 1 and miss or hit
end
