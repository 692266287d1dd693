# The words of the status page. `t!("key", name = value)` in the code names them, and does not compile where one is missing.

menu = Status
widget = Server status
settings = Status page

## How something is

operational = works
degraded = has problems
down = does not work
all-operational = Everything works
all-degraded = Some parts have problems
all-down = The server has problems

## What there is

component = Part
component-server = Server
component-delivery = Delivery to plugins
state = State

## Figures

uptime = Runs for
# The three are numbers; days are left out where there are none.
duration = { $days ->
    [0] { $hours } h { $minutes } min
    [one] { $days } day, { $hours } h { $minutes } min
   *[other] { $days } days, { $hours } h { $minutes } min
 }
messages-per-second = Messages per second
messages-stored = Messages since the start
listeners = Clients that listen
version = Version
working = { $working ->
    [one] One of { $all } parts works
   *[other] { $working } of { $all } parts work
 }
plugin-calls = { $plugin }: { $calls ->
    [one] one call
   *[other] { $calls } calls
 } in the last minute, { $failed } failed
look-again = Look again
