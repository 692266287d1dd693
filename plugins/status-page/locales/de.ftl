menu = Status
widget = Zustand des Servers
settings = Statusseite

## Wie es um etwas steht

operational = läuft
degraded = hat Probleme
down = läuft nicht
all-operational = Alles läuft
all-degraded = Einzelne Teile haben Probleme
all-down = Der Server hat Probleme

## Was es gibt

component = Teil
component-server = Server
component-delivery = Zustellung an Plugins
state = Zustand

## Zahlen

uptime = Läuft seit
duration = { $days ->
    [0] { $hours } Std. { $minutes } Min.
    [one] { $days } Tag, { $hours } Std. { $minutes } Min.
   *[other] { $days } Tagen, { $hours } Std. { $minutes } Min.
 }
messages-per-second = Nachrichten je Sekunde
messages-stored = Nachrichten seit dem Start
listeners = Zuhörende Clients
version = Version
working = { $working } von { $all } Teilen { $working ->
    [one] läuft
   *[other] laufen
 }
plugin-calls = { $plugin }: { $calls ->
    [one] ein Aufruf
   *[other] { $calls } Aufrufe
 } in der letzten Minute, { $failed } davon fehlgeschlagen
look-again = Neu ansehen
