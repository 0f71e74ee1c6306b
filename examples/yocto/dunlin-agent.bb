# For a layer of yours: recipes-dunlin/dunlin-agent/dunlin-agent.bb. It uses the layers' own libraries,
# of meta-openembedded: mosquitto (meta-networking), mbedtls (meta-networking), msgpack-c (meta-oe).
SUMMARY = "Agent of a fleet of edge devices"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"
SRC_URI = "git://github.com/OWNER/dunlin.git;protocol=https;branch=main"
SRCREV = "${AUTOREV}"
S = "${WORKDIR}/git"

DEPENDS = "mbedtls mosquitto msgpack-c sqlite3 zstd"
inherit cmake pkgconfig systemd useradd

# Only what runs on devices, and no tests.
EXTRA_OECMAKE = "-DCMAKE_BUILD_TYPE=Release -DDUNLIN_DEVICE=${STAGING_DIR_HOST}${prefix} -DBUILD_TESTING=OFF"

SYSTEMD_SERVICE:${PN} = "dunlin-agent.service"
USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --user-group --home-dir /var/lib/dunlin-agent --shell /sbin/nologin dunlin-agent"

do_install() {
    install -D -m 755 ${B}/dunlin-agent ${D}${bindir}/dunlin-agent
    install -D -m 755 ${S}/cross/package/join ${D}${nonarch_libdir}/dunlin/join
    install -D -m 644 ${S}/cross/package/agent.conf ${D}${sysconfdir}/dunlin/agent.conf
    install -D -m 644 ${S}/cross/package/dunlin-agent.service ${D}${systemd_system_unitdir}/dunlin-agent.service
}

FILES:${PN} += "${nonarch_libdir}/dunlin"
CONFFILES:${PN} = "${sysconfdir}/dunlin/agent.conf"
